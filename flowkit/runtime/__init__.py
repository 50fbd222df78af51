"""The part that acts: it carries the core's commands out in this process."""
