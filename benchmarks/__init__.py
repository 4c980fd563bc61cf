"""What must be fast or right often enough, measured; one command each."""
