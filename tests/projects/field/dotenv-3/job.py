from app.settings import Settings

print("mode", Settings().api_mode)
