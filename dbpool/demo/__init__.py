"""The pool's main job, shown on a database of its own: many callers, few connections, no surprises."""
