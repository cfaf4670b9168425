-- What queue_worker.py works through: insert a row into jobs, and whoever listens hears of it at COMMIT.
create table if not exists jobs (
    id bigint generated always as identity primary key,
    account text not null,
    amount integer not null,
    attempts integer not null default 0,
    due_at timestamptz not null default now(),
    error text
);
create index if not exists jobs_due_at on jobs (due_at) where attempts < 5;
create table if not exists balances (account text primary key, total bigint not null);

create or replace function tell_of_jobs() returns trigger language plpgsql as $$
begin
    notify jobs;
    return null;
end $$;
create or replace trigger jobs_told after insert on jobs for each statement execute function tell_of_jobs();
