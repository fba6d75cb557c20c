-- Questions and answers of Rooms, for those who asked and for auditors. They lie beside the documents that they are made of,
-- and not in the audit trail: so they go with the Room, and when the Room says so.
ALTER TABLE room_answer
    -- The id by which the asker knows it.
    ADD COLUMN request  text,
    ADD COLUMN question text,
    ADD COLUMN answer   text,
    -- How it ended; NULL until it has.
    ADD COLUMN outcome  text;
CREATE INDEX room_answer_author ON room_answer (room, author, at);
CREATE INDEX room_answer_request ON room_answer (room, author, request);
