"""What a run does, stage by stage: each asks what to measure next, has it measured, and says what that showed."""
