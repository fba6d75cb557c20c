-- Databases that answers of Rooms were made of, beside documents: the sources, and what was asked of them. Statements go with
-- the texts, for they may quote the question.
ALTER TABLE room_answer
    ADD COLUMN sources    text[] NOT NULL DEFAULT '{}',
    ADD COLUMN statements text[];
