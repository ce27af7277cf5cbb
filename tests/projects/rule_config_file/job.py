from app.run import main

main()
