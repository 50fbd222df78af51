"""Customer events: four flows of a company, fed from one event bus.

``python -m examples.customer_events [FILE]`` replays a file of recorded events, by
default the sample beside this module, and says what became of them. Read
:mod:`~examples.customer_events.signup` first: each flow is one small module.
"""
