-- The registry's tables. Columns are what SQL readers and row-level security need; everything else is the registry's own
-- JSON in `content`, so that the keys of a newer kinfra stay.

-- A pool: the top level of its registry.
create table kinfra.pool (
    pool bigint generated always as identity primary key,
    name text not null unique,
    -- Grows by one with each save.
    generation bigint not null default 0,
    -- Of the last save. A server that crashed may give the number of a save that it lost to another one.
    token text not null default '',
    -- The generation of the last save that removed a slot.
    removed_at bigint not null default 0,
    content jsonb not null default '{}'
);

-- The turn to change a pool: the lock of its row. No save changes that row, so those who wait are woken one by one.
create table kinfra.turn (
    pool bigint primary key references kinfra.pool,
    -- Nothing. Who may change it may lock the row.
    is_taken boolean
);

-- What `apply` wrote in a user's root: the files of its slots, and which slots.toml it was.
create table kinfra.root (
    pool bigint not null references kinfra.pool,
    host text not null,
    root text not null,
    -- Of the save that changed it last.
    generation bigint not null,
    made_by name not null default session_user,
    content jsonb not null,
    primary key (pool, host, root)
);

-- What users of a host share. Its id is in the labels of its stacks: those of another host are not its own.
create table kinfra.host (
    pool bigint not null references kinfra.pool,
    host text not null,
    id text,
    primary key (pool, host)
);

-- A slot of a host, as its slots.toml declares it.
create table kinfra.slot (
    pool bigint not null references kinfra.pool,
    host text not null,
    slot integer not null check (slot > 0),
    -- Of the save that changed it, its claim or its stack last.
    generation bigint not null,
    profile text generated always as (content ->> 'profile') stored,
    content jsonb not null,
    primary key (pool, host, slot)
);

-- The claim of a held slot.
create table kinfra.claim (
    pool bigint not null,
    host text not null,
    slot integer not null,
    holder text generated always as (content ->> 'claimed_by') stored,
    owner text generated always as (content ->> 'claim_owner') stored,
    claim_id text generated always as (content ->> 'claim_id') stored,
    lease_until timestamptz,
    -- The role that claimed.
    made_by name not null default session_user,
    made_at timestamptz not null default clock_timestamp(),
    content jsonb not null,
    primary key (pool, host, slot),
    foreign key (pool, host, slot) references kinfra.slot
);
create unique index claim_by_id on kinfra.claim (claim_id);

-- The claims that ended: `save` notes each, of any role.
create table kinfra.ended (
    pool bigint not null,
    -- Of the save.
    generation bigint not null,
    host text not null,
    slot integer not null,
    claim_id text,
    holder text,
    -- The role that had claimed, and the one that ended the claim.
    made_by name not null,
    ended_by name not null default session_user,
    ended_at timestamptz not null default clock_timestamp(),
    -- Whether it went on: with another holder, or in a file that the registry was moved into.
    has_moved boolean not null
);
create index ended_by_claim on kinfra.ended (claim_id);
create index ended_by_save on kinfra.ended (pool, generation);

-- The stack that was started in a slot, and what is left of it.
create table kinfra.stack (
    pool bigint not null,
    host text not null,
    slot integer not null,
    -- What is under this name counts as the slot's: so it is the name of no other project.
    started_as text generated always as (content ->> 'started_as') stored check (started_as ~ ('-slot-' || slot || '$')),
    remains text generated always as (content -> 'left' ->> 'remains') stored,
    content jsonb not null,
    primary key (pool, host, slot),
    foreign key (pool, host, slot) references kinfra.slot
);

-- What a stack was last started with: a start is proven apart from those of all users of the host.
create table kinfra.uses (
    pool bigint not null,
    host text not null,
    slot integer not null,
    content jsonb not null,
    primary key (pool, host, slot),
    foreign key (pool, host, slot) references kinfra.slot
);

-- The waiters, in the order of their tickets. A ticket counts until it expires: its holder puts that off by asking.
create table kinfra.queue (
    ticket bigint generated always as identity primary key,
    pool bigint not null references kinfra.pool,
    host text not null,
    wanted text not null,
    holder text not null,
    made_by name not null default session_user,
    called_at timestamptz,
    expires timestamptz not null
);
create index queue_of_host on kinfra.queue (pool, host, ticket);

-- The last saves: a client whose connection was lost finds its own by the token, which it made at random.
create table kinfra.saved (
    pool bigint not null,
    generation bigint not null,
    token text not null,
    primary key (pool, generation)
);

-- Who did what when: a row for each change that the history tells, and for what no table shows.
create table kinfra.history (
    event bigint generated always as identity primary key,
    pool bigint not null,
    -- Of the save, or of the last one before it.
    generation bigint not null,
    host text,
    -- The role. `content` says which user, verb and directory.
    made_by name not null default session_user,
    made_at timestamptz not null default clock_timestamp(),
    content jsonb not null
);
create index history_of_host on kinfra.history (pool, host, event);
create index history_of_save on kinfra.history (pool, generation);

-- What a client reads, in one row: the pool, and the turn to change it if it `locks`; the schema's version; the clock; what
-- `apply` wrote in a root; and the slots of a host. Of these two, what changed since the generation `since`, whose save's
-- token is `token_then`. It is a function so that a connection that stays keeps its plans. The settings make it keep the first
-- ones, which use indexes: beside a pool of many slots, PostgreSQL would plan each call anew, and that takes longer than the
-- call, or it would read the slots of all pools. It runs with the rights of its caller.
create function kinfra.look(
    of_pool text, of_host text, of_root text, since bigint, locks boolean,
    out pool bigint, out generation bigint, out removed_at bigint, out token text, out token_then text, out content jsonb,
    out version integer, out micros bigint, out root_at bigint, out root jsonb, out host_id text, out slots json
) language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    if locks then
        perform from kinfra.turn as t where t.pool = (select p.pool from kinfra.pool as p where p.name = of_pool) for update;
    end if;
    -- After the turn was waited for: where it is locked, this statement sees what others saved meanwhile.
    select p.pool, p.generation, p.removed_at, p.token,
           (select d.token from kinfra.saved as d where d.pool = p.pool and d.generation = since), p.content,
           (select max(m.version) from kinfra.migration as m), (extract(epoch from clock_timestamp()) * 1000000)::bigint,
           r.generation, case when r.generation > since then r.content end,
           (select h.id from kinfra.host as h where h.pool = p.pool and h.host = of_host),
           (select json_agg(json_build_array(s.slot, s.generation, s.content, c.content, k.content))
              from kinfra.slot as s
              left join kinfra.claim as c using (pool, host, slot)
              left join kinfra.stack as k using (pool, host, slot)
             where s.pool = p.pool and s.host = of_host and s.generation > since)
      into pool, generation, removed_at, token, token_then, content, version, micros, root_at, root, host_id, slots
      from kinfra.pool as p
      left join kinfra.root as r on r.pool = p.pool and r.host = of_host and r.root = of_root
     where p.name = of_pool;
end
$$;

-- Saves what a client changed since it read the generation `seen`, or nothing. `changes` has `pool`, the new top level if
-- that changed; `id` with its `host` and `id` if that changed; `moved` if the claims go on elsewhere; `root` with its `host`,
-- `root` and `content` if that changed; `history` with its `host` and `content` if there is something to tell; `uses` with
-- its `host`, `slot` and `content` if a stack starts; and `slots`: each with `host`, `slot`, the generation `seen` of its
-- row (null if it is new), and of `content`, `claim` and `stack` those that changed (null if it is gone). It runs with the
-- rights of its owner: who may call it need not be able to change the tables, and no claim ends unrecorded.
create function kinfra.save(of_pool bigint, seen bigint, token text, changes jsonb) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    saved constant bigint := seen + 1;
    change jsonb;
    of_host text;
    of_slot integer;
begin
    update kinfra.pool as p
       set generation = saved, token = save.token, content = coalesce(changes -> 'pool', p.content)
     where p.pool = of_pool and p.generation = seen;
    if not found then
        raise exception 'another client saved meanwhile' using errcode = 'serialization_failure';
    end if;
    insert into kinfra.saved values (of_pool, saved, save.token);
    if saved % 1000 = 0 then
        delete from kinfra.saved as d where d.pool = of_pool and d.generation <= saved - 100000;
        delete from kinfra.history as h where h.pool = of_pool and h.generation <= saved - 100000;
        delete from kinfra.ended as e where e.pool = of_pool and e.generation <= saved - 100000;
    end if;
    if changes ? 'history' then
        insert into kinfra.history (pool, generation, host, content)
        values (of_pool, saved, changes -> 'history' ->> 'host', changes -> 'history' -> 'content');
    end if;
    if changes ? 'id' then
        insert into kinfra.host (pool, host, id) values (of_pool, changes -> 'id' ->> 'host', changes -> 'id' ->> 'id')
        on conflict (pool, host) do update set id = excluded.id;
    end if;
    if changes ? 'root' then
        insert into kinfra.root (pool, host, root, generation, content)
        values (of_pool, changes -> 'root' ->> 'host', changes -> 'root' ->> 'root', saved, changes -> 'root' -> 'content')
        on conflict (pool, host, root) do update set generation = excluded.generation, content = excluded.content;
    end if;
    for change in select jsonb_array_elements(changes -> 'slots') loop
        of_host := change ->> 'host';
        of_slot := (change ->> 'slot')::integer;
        if change ? 'claim' then
            insert into kinfra.ended (pool, generation, host, slot, claim_id, holder, made_by, has_moved)
            select c.pool, saved, c.host, c.slot, c.claim_id, c.holder, c.made_by,
                   changes ? 'moved' or coalesce(c.claim_id = change -> 'claim' ->> 'claim_id', false) from kinfra.claim as c
             where (c.pool, c.host, c.slot) = (of_pool, of_host, of_slot)
               and (change -> 'claim' = 'null' or c.claim_id is distinct from change -> 'claim' ->> 'claim_id'
                    or c.holder is distinct from change -> 'claim' ->> 'claimed_by'
                    or c.owner is distinct from change -> 'claim' ->> 'claim_owner');
        end if;
        if change -> 'claim' = 'null' then
            delete from kinfra.claim as c where (c.pool, c.host, c.slot) = (of_pool, of_host, of_slot);
        end if;
        if change ? 'stack' and (change -> 'stack' = 'null' or change -> 'stack' -> 'left' ->> 'remains' = 'data') then
            -- Nothing of it runs any more.
            delete from kinfra.uses as u where (u.pool, u.host, u.slot) = (of_pool, of_host, of_slot);
        end if;
        if change -> 'stack' = 'null' then
            delete from kinfra.stack as s where (s.pool, s.host, s.slot) = (of_pool, of_host, of_slot);
        end if;
        if change -> 'content' = 'null' then
            delete from kinfra.uses as u where (u.pool, u.host, u.slot) = (of_pool, of_host, of_slot);
            update kinfra.pool as p set removed_at = saved where p.pool = of_pool;
            delete from kinfra.slot as s
             where (s.pool, s.host, s.slot) = (of_pool, of_host, of_slot)
               and s.generation = (change ->> 'seen')::bigint;
        elsif change ->> 'seen' is null then
            insert into kinfra.slot (pool, host, slot, generation, content)
            values (of_pool, of_host, of_slot, saved, change -> 'content');
        else
            update kinfra.slot as s
               set generation = saved, content = coalesce(change -> 'content', s.content)
             where (s.pool, s.host, s.slot) = (of_pool, of_host, of_slot)
               and s.generation = (change ->> 'seen')::bigint;
        end if;
        if not found then
            raise exception 'another client saved slot % meanwhile', of_slot using errcode = 'serialization_failure';
        end if;
        if change -> 'claim' <> 'null' then
            insert into kinfra.claim as c (pool, host, slot, lease_until, content)
            values (of_pool, of_host, of_slot, (change -> 'claim' ->> 'lease_until')::timestamptz, change -> 'claim')
            on conflict (pool, host, slot) do update
               set lease_until = excluded.lease_until, content = excluded.content,
                   made_by = case when c.claim_id = excluded.content ->> 'claim_id' then c.made_by else session_user end,
                   made_at = case when c.claim_id = excluded.content ->> 'claim_id' then c.made_at else clock_timestamp() end;
        end if;
        if change -> 'stack' <> 'null' then
            insert into kinfra.stack (pool, host, slot, content)
            values (of_pool, of_host, of_slot, change -> 'stack')
            on conflict (pool, host, slot) do update set content = excluded.content;
        end if;
    end loop;
    if changes ? 'uses' then
        insert into kinfra.uses (pool, host, slot, content)
        values (of_pool, changes -> 'uses' ->> 'host', (changes -> 'uses' ->> 'slot')::integer, changes -> 'uses' -> 'content')
        on conflict (pool, host, slot) do update set content = excluded.content;
    end if;
    return saved;
end
$$;

-- Whether a save is there. Its transaction ends when the disk has everything that was committed before it, also where the
-- server's own setting is not to wait. The kinds of waiting that an admin chose stay. It is a function because a connection
-- that stays plans it once. It runs with the rights of its caller.
create function kinfra.is_kept(of_pool bigint, of_generation bigint, of_token text) returns boolean
language plpgsql as $$
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    perform pg_logical_emit_message(true, 'kinfra', '');
    return exists (select from kinfra.saved as s where (s.pool, s.generation, s.token) = (of_pool, of_generation, of_token));
end
$$;

-- Notes that `down` was asked for a stack: it counts only while it has containers then.
create function kinfra.end_uses(of_pool text, of_host text, of_slot integer) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    update kinfra.uses as u set content = u.content || '{"has_ended": true}'
      from kinfra.pool as p
     where u.pool = p.pool and p.name = of_pool and u.host = of_host and u.slot = of_slot
$$;

-- Puts something into the history that is no change of the registry. It goes with the save before it.
create function kinfra.tell(of_pool bigint, of_host text, what jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into kinfra.history (pool, generation, host, content)
    select p.pool, p.generation, of_host, what from kinfra.pool as p where p.pool = of_pool
$$;
revoke all on function kinfra.save from public;
revoke all on function kinfra.end_uses from public;
revoke all on function kinfra.tell from public;
