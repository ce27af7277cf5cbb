"""What is kept between runs, for how long, and how a file is recognised."""
