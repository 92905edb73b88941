-- Several Cores of a region (docs/decisions/0005-several-cores.md). In the database of a Gateway these stay empty.

CREATE TABLE krypton_region (
    -- One row.
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Counts the changes of the chain.
    last bigint NOT NULL
);
INSERT INTO krypton_region (last) VALUES (0);

CREATE TABLE krypton_changes (
    sequence bigint PRIMARY KEY,
    identifiers text[] NOT NULL
);

CREATE TABLE krypton_members (
    -- One life of a Core.
    instance text COLLATE "C" PRIMARY KEY,
    -- Counts its renewals.
    beat bigint NOT NULL DEFAULT 0,
    -- All changes up to here bind it, and its Gateways.
    applied bigint NOT NULL,
    -- How long a renewal keeps it a member, on its own clock.
    membership_milliseconds bigint NOT NULL,
    -- The longest lease that it grants.
    lease_milliseconds bigint NOT NULL,
    -- For people: nothing is decided by it.
    renewed timestamptz NOT NULL DEFAULT now()
);

-- Called within the transaction that changes records: the lock on the one row puts the changes in order.
CREATE FUNCTION krypton_tell_region(changed text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    number bigint;
BEGIN
    UPDATE krypton_region SET last = last + 1 RETURNING last INTO number;
    INSERT INTO krypton_changes (sequence, identifiers) VALUES (number, changed);
    PERFORM pg_notify('krypton_region', '');
    RETURN number;
END
$$;

-- A change either comes before the number that a new member begins with, or finds the member here.
CREATE FUNCTION krypton_join(own text, membership bigint, lease bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    number bigint;
BEGIN
    SELECT last INTO number FROM krypton_region FOR SHARE;
    INSERT INTO krypton_members (instance, applied, membership_milliseconds, lease_milliseconds)
        VALUES (own, number, membership, lease);
    RETURN number;
END
$$;

-- The number of the last change; nothing for one that is no member any more.
CREATE FUNCTION krypton_renew(own text, now_applied bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
    number bigint;
BEGIN
    SELECT applied INTO before FROM krypton_members WHERE instance = own FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE krypton_members SET beat = beat + 1, applied = greatest(before, now_applied), renewed = now()
        WHERE instance = own;
    IF now_applied > before THEN
        PERFORM pg_notify('krypton_region', '');
    END IF;
    SELECT last INTO number FROM krypton_region;
    RETURN number;
END
$$;

-- Forgets a member that has not been renewed since, and the changes that bind all the others.
CREATE FUNCTION krypton_forget_member(gone text, last_beat bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM krypton_members WHERE instance = gone AND beat = last_beat;
END
$$;

CREATE FUNCTION krypton_forget_changes() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM krypton_changes WHERE sequence <= (SELECT min(applied) FROM krypton_members);
END
$$;
