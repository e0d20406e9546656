"""What the buttons do: thin, a file an activity."""
