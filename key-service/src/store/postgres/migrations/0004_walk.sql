-- The records of a tenant from their own table, so that who has to meet all of them does not depend on any index of them.

CREATE FUNCTION krypton_walk(of_tenant text, first_identifier text, page bigint)
RETURNS TABLE (identifier text, found bytea)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('krypton.tenants', ARRAY[of_tenant]::text, true);
    RETURN QUERY SELECT r.unique_identifier, r.record FROM krypton_records r
        WHERE r.tenant = of_tenant AND r.unique_identifier >= first_identifier
        ORDER BY r.unique_identifier FETCH FIRST (page) ROWS ONLY;
END
$$;
