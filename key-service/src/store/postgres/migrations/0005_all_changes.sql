-- Cores learn of every change that one of them makes, not of the chain's alone; and they leave when they stop.

ALTER TABLE krypton_changes ADD COLUMN tenants text[];
-- Until now they were of this tenant only.
UPDATE krypton_changes SET tenants = array_fill('region'::text, ARRAY[cardinality(identifiers)]);
ALTER TABLE krypton_changes ALTER COLUMN tenants SET NOT NULL;

DROP FUNCTION krypton_tell_region(text[]);

-- Called within the transaction that changes records: the lock on the one row puts the changes in order.
CREATE FUNCTION krypton_tell_region(of_tenants text[], changed text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    number bigint;
BEGIN
    UPDATE krypton_region SET last = last + 1 RETURNING last INTO number;
    INSERT INTO krypton_changes (sequence, tenants, identifiers) VALUES (number, of_tenants, changed);
    PERFORM pg_notify('krypton_region', '');
    RETURN number;
END
$$;

-- A member that uses no key any more, and whose leases end within so long. It counts as renewed: the others begin to count now.
CREATE FUNCTION krypton_leave(own text, lease bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF lease = 0 THEN
        DELETE FROM krypton_members WHERE instance = own;
    ELSE
        UPDATE krypton_members SET beat = beat + 1, membership_milliseconds = 0, lease_milliseconds = lease, renewed = now()
            WHERE instance = own;
    END IF;
    PERFORM pg_notify('krypton_region', '');
END
$$;
