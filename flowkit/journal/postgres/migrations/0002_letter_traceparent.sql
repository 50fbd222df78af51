-- Where the trace of an event's sender goes on; null if nothing is traced.

alter table flowkit.letter add column traceparent text;
