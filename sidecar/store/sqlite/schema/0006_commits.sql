-- How many transactions there were: a file that lacks the last ones is found out by it.

CREATE TABLE commits (
    number INTEGER NOT NULL
);

INSERT INTO commits VALUES (0);
