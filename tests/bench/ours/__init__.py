"""The measured saga: four steps, each one row in the participant's own transaction."""
