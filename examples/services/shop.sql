-- What fastapi_app, starlette_app and litestar_app serve. In life, a migration: see docs/migrations.md.
create table if not exists products (
    id bigint primary key,
    name text not null,
    stock integer not null check (stock >= 0)
);
create table if not exists orders (
    id bigint generated always as identity primary key,
    product_id bigint not null references products,
    quantity integer not null check (quantity > 0),
    placed_at timestamptz not null default now(),
    confirmed_at timestamptz
);
insert into products (id, name, stock) values (1, 'teapot', 100), (2, 'cup', 0) on conflict do nothing;
