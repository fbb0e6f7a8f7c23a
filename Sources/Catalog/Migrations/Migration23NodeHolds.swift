// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// What the storage nodes are to know of legal holds, so that they refuse by themselves, and that a catalog which is
    /// lost does not take the holds along.
    ///
    /// A row for each study and hold, wanted against actual as orders of the trash are. Numbers are of one sequence with
    /// those: term and number name an amendment of a record. docs/decisions/0063-rejection-notes.md
    static let nodeHolds = nodeHoldTables + nodeHoldOrders + nodeHoldArrivals

    /// The advisory lock between those who delete and those who enter instances or place holds.
    private static let deletionLock = "130160904267009"  // "varve" in ASCII, and 1

    private static let nodeHoldTables = #"""
        -- What amendments name: the hold, whatever its number is in another catalog.
        ALTER TABLE holds ADD COLUMN reference uuid NOT NULL DEFAULT gen_random_uuid();
        CREATE INDEX holds_in_force ON holds (id) WHERE released_at IS NULL;

        CREATE TABLE node_holds (
            study_uid text COLLATE "C" NOT NULL,
            hold bigint NOT NULL REFERENCES holds,
            -- Of the order in force: hold, or release. With the term its place among all orders.
            is_held boolean NOT NULL,
            number bigint NOT NULL,
            issued_at bigint NOT NULL,  -- milliseconds since 1970
            -- Of the coordinator that took it up first.
            term bigint,
            -- Nodes that have it on their disks for all records of the study.
            answered uuid[] NOT NULL DEFAULT '{}',
            done_at timestamptz,  -- when all members had
            PRIMARY KEY (study_uid, hold)
        );
        CREATE INDEX node_holds_open ON node_holds (number) WHERE done_at IS NULL;
        CREATE INDEX node_holds_by_hold ON node_holds (hold);

        -- Holds that were placed or released since the rows above were made.
        CREATE TABLE hold_changes (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            hold bigint NOT NULL
        );
        INSERT INTO hold_changes (hold) SELECT h.id FROM holds h WHERE h.released_at IS NULL;
        CREATE FUNCTION note_hold_changes() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO hold_changes (hold) VALUES (NEW.id);
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_hold_changes AFTER INSERT OR UPDATE ON holds
            FOR EACH ROW EXECUTE FUNCTION note_hold_changes();

        -- Records that came into held studies; rows that nobody else writes, so that no store waits for another.
        CREATE TABLE hold_arrivals (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            study_uid text COLLATE "C" NOT NULL,
            record uuid NOT NULL
        );
        CREATE FUNCTION note_hold_arrivals() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM holds h WHERE h.released_at IS NULL) THEN
                INSERT INTO hold_arrivals (study_uid, record)
                SELECT t.uid, c.record FROM changed c JOIN series e ON e.id = c.series JOIN studies t ON t.id = e.study
                WHERE EXISTS (SELECT FROM held_now h WHERE h.study = t.id);
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_hold_arrivals AFTER INSERT ON instances REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION note_hold_arrivals();

        """#

    private static let nodeHoldOrders = #"""
        -- Makes the rows that are wanted: of holds that were placed or released, and of studies that came to a held patient.
        -- `looks_back`: and opens what members of then had carried out, because they have changed.
        CREATE FUNCTION refresh_node_holds(mine bigint, members uuid[], looks_back boolean, issued_in bigint)
        RETURNS void LANGUAGE plpgsql AS $$
        DECLARE
            changes bigint[];
        BEGIN
            PERFORM require_term(mine);
            IF looks_back THEN
                UPDATE node_holds SET done_at = NULL WHERE done_at IS NOT NULL AND NOT answered @> members;
                UPDATE node_holds SET done_at = now() WHERE done_at IS NULL AND answered @> members;
            END IF;
            WITH gone AS (
                DELETE FROM hold_changes RETURNING hold
            )
            SELECT array_agg(DISTINCT g.hold) INTO changes FROM gone g;
            IF changes IS NULL AND NOT EXISTS (SELECT FROM hold_arrivals a WHERE NOT EXISTS (
                SELECT FROM node_holds n WHERE n.study_uid = a.study_uid AND n.is_held))
            THEN
                RETURN;
            END IF;
            UPDATE node_holds n SET is_held = false, term = NULL, answered = '{}', done_at = NULL, issued_at = issued_in,
                number = nextval(pg_get_serial_sequence('trash_orders', 'number'))
            FROM holds h
            WHERE h.id = n.hold AND n.hold = ANY (changes) AND n.is_held AND h.released_at IS NOT NULL;
            INSERT INTO node_holds (study_uid, hold, is_held, number, issued_at)
            SELECT w.uid, w.hold, true, nextval(pg_get_serial_sequence('trash_orders', 'number')), issued_in
            FROM (
                SELECT t.uid, x.hold FROM held_now x JOIN studies t ON t.id = x.study WHERE x.hold = ANY (changes)
                UNION
                SELECT t.uid, x.hold FROM hold_arrivals a JOIN studies t ON t.uid = a.study_uid
                    JOIN held_now x ON x.study = t.id
            ) w
            WHERE NOT EXISTS (SELECT FROM node_holds n WHERE n.study_uid = w.uid AND n.hold = w.hold);
        END $$;

        -- The orders that one of those who answer has not carried out, those that came first first.
        --
        -- New ones get the term behind all stores that are under way: what those entered is there when the records are
        -- listed, and later ones leave a note.
        CREATE FUNCTION open_node_holds(mine bigint, answering uuid[], most integer) RETURNS SETOF node_holds
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        BEGIN
            PERFORM require_term(mine);
            IF EXISTS (SELECT FROM node_holds n WHERE n.done_at IS NULL AND n.term IS NULL) THEN
                PERFORM pg_advisory_xact_lock(\#(deletionLock));
                UPDATE node_holds n SET term = mine WHERE n.number IN (
                    SELECT x.number FROM node_holds x WHERE x.done_at IS NULL AND x.term IS NULL
                    ORDER BY x.number LIMIT most) AND n.done_at IS NULL;
            END IF;
            RETURN QUERY SELECT * FROM node_holds n
            WHERE n.done_at IS NULL AND n.term IS NOT NULL AND NOT n.answered @> answering
            ORDER BY n.number LIMIT most;
        END $$;

        -- Notes that nodes have an order for all records of its study; true when all members have it.
        CREATE FUNCTION note_hold_answers(mine bigint, number_in bigint, nodes_in uuid[], members uuid[]) RETURNS boolean
        LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE node_holds n SET answered = ARRAY(SELECT unnest(n.answered) UNION SELECT unnest(nodes_in))
            WHERE n.number = number_in AND n.done_at IS NULL;
            UPDATE node_holds n SET done_at = now()
            WHERE n.number = number_in AND n.done_at IS NULL AND n.answered @> members;
            RETURN FOUND;
        END $$;

        """#

    private static let nodeHoldArrivals = #"""
        -- Forgets arrivals of which the nodes in `told` know now. Those that do not are told of the whole study when they
        -- answer again. What came before its study's order was taken up is in that order.
        CREATE FUNCTION finish_hold_arrivals(mine bigint, arrivals bigint[], told uuid[], members uuid[]) RETURNS void
        LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            IF NOT told @> members THEN
                UPDATE node_holds n SET done_at = NULL,
                    answered = ARRAY(SELECT x FROM unnest(n.answered) x WHERE x = ANY (told))
                WHERE n.is_held AND n.study_uid IN (SELECT a.study_uid FROM hold_arrivals a WHERE a.id = ANY (arrivals));
            END IF;
            -- Not those of held studies that have no row yet, which came since rows were made last: it is made by them.
            DELETE FROM hold_arrivals a WHERE a.id = ANY (arrivals) AND (
                EXISTS (SELECT FROM node_holds n WHERE n.study_uid = a.study_uid AND n.is_held)
                OR NOT EXISTS (SELECT FROM held_now h JOIN studies t ON t.id = h.study WHERE t.uid = a.study_uid));
        END $$;
        """#
}
