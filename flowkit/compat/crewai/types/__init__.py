"""``crewai.types``: what streams are made of."""
