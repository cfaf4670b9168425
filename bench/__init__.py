"""dbpool side by side with other ways to reach PostgreSQL, as ratios measured in one run."""
