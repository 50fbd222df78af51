-- Where the trace of an event's sender goes on; NULL if nothing is traced.

ALTER TABLE letter ADD COLUMN traceparent TEXT;
