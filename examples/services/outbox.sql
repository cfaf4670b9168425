-- What worker.py delivers: insert a row in the transaction that has something to say.
create table if not exists outbox (
    id bigint generated always as identity primary key,
    recipient text not null,
    body text not null,
    attempts integer not null default 0,
    claimed_until timestamptz not null default '-infinity'
);
create index if not exists outbox_claimed_until on outbox (claimed_until);
