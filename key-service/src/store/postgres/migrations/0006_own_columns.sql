-- Columns that say something else than the record are found out wherever it is read; and which tenants there are follows from the
-- records alone.

DROP FUNCTION krypton_fetch(text, text);
CREATE FUNCTION krypton_fetch(of_tenant text, of_identifier text)
RETURNS TABLE (own_sequence bigint, own_version bigint, found bytea)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('krypton.tenants', ARRAY[of_tenant]::text, true);
    RETURN QUERY SELECT r.sequence, r.version, r.record FROM krypton_records r
        WHERE r.tenant = of_tenant AND r.unique_identifier = of_identifier;
END
$$;

DROP FUNCTION krypton_select(text, bytea, bigint, bigint);
CREATE FUNCTION krypton_select(of_tenant text, of_key bytea, newest bigint, page bigint)
RETURNS TABLE (own_sequence bigint, own_version bigint, found bytea, identifier text, place bigint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('krypton.tenants', ARRAY[of_tenant]::text, true);
    IF of_key IS NULL THEN
        RETURN QUERY SELECT r.sequence, r.version, r.record, r.unique_identifier, r.sequence FROM krypton_records r
            WHERE r.tenant = of_tenant AND r.sequence <= newest
            ORDER BY r.sequence DESC FETCH FIRST (page) ROWS WITH TIES;
    ELSE
        RETURN QUERY WITH located AS MATERIALIZED (
            SELECT i.unique_identifier, i.sequence FROM krypton_index i
            WHERE i.tenant = of_tenant AND i.key = of_key AND i.sequence <= newest
            ORDER BY i.sequence DESC FETCH FIRST (page) ROWS WITH TIES
        )
        SELECT coalesce(r.sequence, 0), coalesce(r.version, 0), coalesce(r.record, ''::bytea), l.unique_identifier, l.sequence
            FROM located l
            LEFT JOIN krypton_records r ON r.tenant = of_tenant AND r.unique_identifier = l.unique_identifier
            ORDER BY l.sequence DESC;
    END IF;
END
$$;

DROP FUNCTION krypton_walk(text, text, bigint);
CREATE FUNCTION krypton_walk(of_tenant text, first_identifier text, page bigint)
RETURNS TABLE (own_sequence bigint, own_version bigint, found bytea, identifier text)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('krypton.tenants', ARRAY[of_tenant]::text, true);
    RETURN QUERY SELECT r.sequence, r.version, r.record, r.unique_identifier FROM krypton_records r
        WHERE r.tenant = of_tenant AND r.unique_identifier >= first_identifier
        ORDER BY r.unique_identifier FETCH FIRST (page) ROWS ONLY;
END
$$;

DROP FUNCTION krypton_lock(text[], text[], text[]);
CREATE FUNCTION krypton_lock(of_tenants text[], record_tenants text[], record_identifiers text[])
RETURNS TABLE (own_sequence bigint, own_version bigint, found bytea, identifier text, tenant text)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('krypton.tenants', of_tenants::text, true);
    RETURN QUERY SELECT r.sequence, r.version, r.record, r.unique_identifier, r.tenant
        FROM unnest(record_tenants, record_identifiers) AS wanted(tenant, unique_identifier)
        JOIN krypton_records r ON r.tenant = wanted.tenant AND r.unique_identifier = wanted.unique_identifier
        ORDER BY r.tenant, r.unique_identifier FOR UPDATE OF r;
END
$$;

-- To be read only, and only by who says so.
CREATE POLICY krypton_of_every_tenant ON krypton_records FOR SELECT
    USING ((SELECT current_setting('krypton.every_tenant', true)) = 'on');

-- A look-up for each tenant, not for each record.
CREATE FUNCTION krypton_find_tenants() RETURNS TABLE (of_tenant text)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('krypton.every_tenant', 'on', true);
    SELECT r.tenant INTO of_tenant FROM krypton_records r ORDER BY r.tenant LIMIT 1;
    WHILE of_tenant IS NOT NULL LOOP
        RETURN NEXT;
        SELECT r.tenant INTO of_tenant FROM krypton_records r WHERE r.tenant > of_tenant ORDER BY r.tenant LIMIT 1;
    END LOOP;
    PERFORM set_config('krypton.every_tenant', '', true);
END
$$;

DROP TABLE krypton_tenants;
