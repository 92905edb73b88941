-- A page has a row for whatever the index names, with no bytes where there is no record: what a page lacks is seen by whoever asked
-- for it, and does not look like the end of all records. The sequence says where the next page begins.

DROP FUNCTION krypton_select(text, bytea, bigint, bigint);

CREATE FUNCTION krypton_select(of_tenant text, of_key bytea, newest bigint, page bigint)
RETURNS TABLE (place bigint, identifier text, found bytea)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('krypton.tenants', ARRAY[of_tenant]::text, true);
    IF of_key IS NULL THEN
        RETURN QUERY SELECT r.sequence, r.unique_identifier, r.record FROM krypton_records r
            WHERE r.tenant = of_tenant AND r.sequence <= newest
            ORDER BY r.sequence DESC FETCH FIRST (page) ROWS WITH TIES;
    ELSE
        RETURN QUERY WITH located AS MATERIALIZED (
            SELECT i.unique_identifier, i.sequence FROM krypton_index i
            WHERE i.tenant = of_tenant AND i.key = of_key AND i.sequence <= newest
            ORDER BY i.sequence DESC FETCH FIRST (page) ROWS WITH TIES
        )
        SELECT l.sequence, l.unique_identifier, coalesce(r.record, ''::bytea) FROM located l
            LEFT JOIN krypton_records r ON r.tenant = of_tenant AND r.unique_identifier = l.unique_identifier
            ORDER BY l.sequence DESC;
    END IF;
END
$$;
