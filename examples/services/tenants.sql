-- Run as the owner of the database: the service's own role can neither change this nor go around it.
do $$ begin
    create role tenants_app login nobypassrls;  -- in life with a password, or by IAM: see docs/frameworks.md
exception when duplicate_object then null;
end $$;

create table if not exists notes (
    tenant text not null default current_setting('app.tenant') check (tenant <> ''),
    slug text not null,
    body text not null,
    primary key (tenant, slug)  -- of slug alone it would tell one tenant what another has
);
alter table notes enable row level security;
alter table notes force row level security;  -- for its owner, too

-- Without app.tenant it is NULL, and after a transaction that had it set it is '': neither is any row's tenant.
drop policy if exists of_tenant on notes;
create policy of_tenant on notes
    using (tenant = current_setting('app.tenant', true))
    with check (tenant = current_setting('app.tenant', true));
grant select, insert, update, delete on notes to tenants_app;
