-- The records of a store, the index of Locate, and what keeps tenants apart (docs/STORAGE.md).

CREATE TABLE krypton_store (
    -- One row.
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Whose store this is: 'gateway' or 'core'. One does not open the other's.
    owner text NOT NULL,
    -- Which index keys records have: raised when Locate learns to look by more.
    index_version bigint NOT NULL
);

CREATE TABLE krypton_tenants (
    tenant text COLLATE "C" PRIMARY KEY
);

CREATE TABLE krypton_records (
    tenant text COLLATE "C" NOT NULL,
    unique_identifier text COLLATE "C" NOT NULL,
    -- The unsigned numbers of Krypton less 2^63, so that they are in order.
    sequence bigint NOT NULL,
    version bigint NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (tenant, unique_identifier)
);
-- Sealed bytes do not get smaller.
ALTER TABLE krypton_records ALTER COLUMN record SET STORAGE EXTERNAL;
CREATE INDEX krypton_records_by_age ON krypton_records (tenant, sequence);

CREATE TABLE krypton_index (
    tenant text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    sequence bigint NOT NULL,
    unique_identifier text COLLATE "C" NOT NULL,
    is_name boolean NOT NULL,
    PRIMARY KEY (tenant, key, sequence, unique_identifier)
);
CREATE UNIQUE INDEX krypton_names ON krypton_index (tenant, key) WHERE is_name;

-- A transaction sees and writes the rows of the tenants that it has named in krypton.tenants, and none where it has
-- named none. The sub-select is worked out once a statement.
ALTER TABLE krypton_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE krypton_records FORCE ROW LEVEL SECURITY;
CREATE POLICY krypton_of_tenants ON krypton_records
    USING (tenant = ANY ((SELECT NULLIF(current_setting('krypton.tenants', true), '')::text[])::text[]));
ALTER TABLE krypton_index ENABLE ROW LEVEL SECURITY;
ALTER TABLE krypton_index FORCE ROW LEVEL SECURITY;
CREATE POLICY krypton_of_tenants ON krypton_index
    USING (tenant = ANY ((SELECT NULLIF(current_setting('krypton.tenants', true), '')::text[])::text[]));

CREATE FUNCTION krypton_fetch(of_tenant text, of_identifier text) RETURNS TABLE (found bytea)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('krypton.tenants', ARRAY[of_tenant]::text, true);
    RETURN QUERY SELECT r.record FROM krypton_records r
        WHERE r.tenant = of_tenant AND r.unique_identifier = of_identifier;
END
$$;

-- A page of Locate, the newest first, together with all that share the sequence of its last.
CREATE FUNCTION krypton_select(of_tenant text, of_key bytea, newest bigint, page bigint)
RETURNS TABLE (identifier text, found bytea)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('krypton.tenants', ARRAY[of_tenant]::text, true);
    IF of_key IS NULL THEN
        RETURN QUERY SELECT r.unique_identifier, r.record FROM krypton_records r
            WHERE r.tenant = of_tenant AND r.sequence <= newest
            ORDER BY r.sequence DESC FETCH FIRST (page) ROWS WITH TIES;
    ELSE
        RETURN QUERY WITH located AS MATERIALIZED (
            SELECT i.unique_identifier, i.sequence FROM krypton_index i
            WHERE i.tenant = of_tenant AND i.key = of_key AND i.sequence <= newest
            ORDER BY i.sequence DESC FETCH FIRST (page) ROWS WITH TIES
        )
        SELECT r.unique_identifier, r.record FROM located l
            JOIN krypton_records r ON r.tenant = of_tenant AND r.unique_identifier = l.unique_identifier
            ORDER BY l.sequence DESC;
    END IF;
END
$$;

-- Begins a transaction about these records: locks them, always in the same order, and returns them.
CREATE FUNCTION krypton_lock(of_tenants text[], record_tenants text[], record_identifiers text[])
RETURNS TABLE (tenant text, identifier text, found bytea)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('krypton.tenants', of_tenants::text, true);
    RETURN QUERY SELECT r.tenant, r.unique_identifier, r.record
        FROM unnest(record_tenants, record_identifiers) AS wanted(tenant, unique_identifier)
        JOIN krypton_records r ON r.tenant = wanted.tenant AND r.unique_identifier = wanted.unique_identifier
        ORDER BY r.tenant, r.unique_identifier FOR UPDATE OF r;
END
$$;
