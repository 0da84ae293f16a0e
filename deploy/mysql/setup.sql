-- The database and the account of Kaimen, with no more privileges than it needs. As an administrator:
--
--   sed "s/CHANGE-ME/$(openssl rand -hex 24)/" deploy/mysql/setup.sql | mysql
--
-- The password then goes into KAIMEN_DATABASE_URL. Replace localhost where Kaimen runs on another machine, and
-- add REQUIRE SSL and ?ssl=true there. CREATE, ALTER, INDEX and DROP are for `kaimen migrate`; who runs migrations
-- by another account may leave them out here.
CREATE DATABASE IF NOT EXISTS kaimen CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER IF NOT EXISTS kaimen@localhost IDENTIFIED BY 'CHANGE-ME';
ALTER USER kaimen@localhost IDENTIFIED BY 'CHANGE-ME';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON kaimen.* TO kaimen@localhost;
