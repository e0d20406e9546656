"""What `build.py` is made of. Python's own library only: it runs before anything is installed."""
