BEGIN TRANSACTION;
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE bundles (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
    models JSON NOT NULL
);
INSERT INTO "bundles" VALUES(1,'[{"handle": "counter", "job": "counter", "url": "s3://models/out/counter/counter-1.0.tar.gz", "sha1": "0000000000000000000000000000000000000000", "name": "counter", "version": "1.0"}]');
CREATE TABLE compilation_jobs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
    account VARCHAR(12) NOT NULL, 
    region VARCHAR(64) NOT NULL, 
    name VARCHAR(63) NOT NULL, 
    arn VARCHAR(256) NOT NULL, 
    created DOUBLE NOT NULL, 
    modified DOUBLE NOT NULL, 
    tags JSON NOT NULL, 
    details JSON NOT NULL, 
    status VARCHAR(16) NOT NULL, 
    message TEXT, 
    ended DOUBLE, 
    claimed DOUBLE NOT NULL, 
    CONSTRAINT uq_compilation_jobs_account_region_name UNIQUE (account, region, name)
);
INSERT INTO "compilation_jobs" VALUES(1,'111111111111','eu-west-1','counter','arn:aws:sagemaker:eu-west-1:111111111111:compilation-job/counter',1790000000.5,1790000000.5,'{}','{"InputConfig": {"S3Uri": "s3://models/counter.onnx", "Framework": "ONNX"}, "OutputConfig": {"S3OutputLocation": "s3://models/out"}}','INPROGRESS',NULL,NULL,0.0);
CREATE TABLE deployments (
	start_id INTEGER NOT NULL, 
	device_id INTEGER NOT NULL, 
	state VARCHAR(8) NOT NULL, 
	message TEXT, 
	CONSTRAINT pk_deployments PRIMARY KEY (start_id, device_id), 
	CONSTRAINT fk_deployments_device_id FOREIGN KEY(device_id) REFERENCES devices (id), 
	CONSTRAINT fk_deployments_start_id FOREIGN KEY(start_id) REFERENCES starts (id)
)
 WITHOUT ROWID

;
INSERT INTO "deployments" VALUES(1,1,'SUCCESS',NULL);
CREATE TABLE devices (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
    fleet_id INTEGER NOT NULL, 
    name VARCHAR(63) NOT NULL, 
    registered DOUBLE NOT NULL, 
    is_registered BOOLEAN NOT NULL, 
    description VARCHAR(40), 
    thing VARCHAR(128), 
    heartbeat DOUBLE, 
    agent VARCHAR(64), 
    models JSON, 
    bundle_id INTEGER, 
    CONSTRAINT fk_devices_fleet_id FOREIGN KEY(fleet_id) REFERENCES fleets (id) ON DELETE CASCADE, 
    CONSTRAINT uq_devices_fleet_id_name UNIQUE (fleet_id, name)
);
INSERT INTO "devices" VALUES(1,1,'till-1',1790000000.5,1,'by the door',NULL,1790000005.5,'1.0','[{"ModelName": "counter", "ModelVersion": "1.0"}]',1);
INSERT INTO "devices" VALUES(2,1,'till-2',1790000000.5,1,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE fleets (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
    account VARCHAR(12) NOT NULL, 
    region VARCHAR(64) NOT NULL, 
    name VARCHAR(63) NOT NULL, 
    arn VARCHAR(256) NOT NULL, 
    created DOUBLE NOT NULL, 
    modified DOUBLE NOT NULL, 
    tags JSON NOT NULL, 
    details JSON NOT NULL, 
    version INTEGER NOT NULL, latest INTEGER, 
    CONSTRAINT uq_fleets_account_region_name UNIQUE (account, region, name)
);
INSERT INTO "fleets" VALUES(1,'111111111111','eu-west-1','shops','arn:aws:sagemaker:eu-west-1:111111111111:device-fleet/shops',1790000000.5,1790000000.5,'{"team": "retail"}','{"OutputConfig": {"S3OutputLocation": "s3://models/out"}}',1,1);
CREATE TABLE keys (
    access_key VARCHAR(32) NOT NULL, 
    account VARCHAR(12) NOT NULL, 
    region VARCHAR(64), 
    role VARCHAR(16) NOT NULL, 
    fleet VARCHAR(63), 
    device VARCHAR(63), 
    assumable JSON NOT NULL, 
    secret BLOB NOT NULL, 
    created DOUBLE NOT NULL, 
    CONSTRAINT pk_keys PRIMARY KEY (access_key)
);
INSERT INTO "keys" VALUES('AKIAYS7MS6FSZKD6W23E','111111111111','eu-west-1','device','shops','till-1','[]',X'DD99B7A48FDEFF2F6FDDCE99A584CF813D85F5A6B7F9DB7BBBF39263A4B73273142A547786ED124E9EB2E347112C0ADCD8C649CA8F790993881276F22BDDEB03C6A3752F',1790000000.5);
CREATE TABLE packaging_jobs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
    account VARCHAR(12) NOT NULL, 
    region VARCHAR(64) NOT NULL, 
    name VARCHAR(63) NOT NULL, 
    arn VARCHAR(256) NOT NULL, 
    created DOUBLE NOT NULL, 
    modified DOUBLE NOT NULL, 
    tags JSON NOT NULL, 
    details JSON NOT NULL, 
    model VARCHAR(63) NOT NULL, 
    version VARCHAR(30) NOT NULL, 
    status VARCHAR(16) NOT NULL, 
    message TEXT, 
    artifact VARCHAR(1024), 
    sha1 VARCHAR(40), 
    claimed DOUBLE NOT NULL, 
    CONSTRAINT uq_packaging_jobs_account_region_name UNIQUE (account, region, name)
);
INSERT INTO "packaging_jobs" VALUES(1,'111111111111','eu-west-1','counter','arn:aws:sagemaker:eu-west-1:111111111111:edge-packaging-job/counter',1790000000.5,1790000000.5,'{}','{"CompilationJobName": "counter", "OutputConfig": {"S3OutputLocation": "s3://models/out"}, "InputS3Uri": "s3://models/counter.onnx"}','counter','1.0','INPROGRESS',NULL,NULL,NULL,0.0);
CREATE TABLE plans (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
    account VARCHAR(12) NOT NULL, 
    region VARCHAR(64) NOT NULL, 
    name VARCHAR(63) NOT NULL, 
    arn VARCHAR(256) NOT NULL, 
    created DOUBLE NOT NULL, 
    modified DOUBLE NOT NULL, 
    tags JSON NOT NULL, 
    fleet_id INTEGER NOT NULL, 
    bundle_id INTEGER NOT NULL, 
    CONSTRAINT fk_plans_bundle_id FOREIGN KEY(bundle_id) REFERENCES bundles (id), 
    CONSTRAINT fk_plans_fleet_id FOREIGN KEY(fleet_id) REFERENCES fleets (id), 
    CONSTRAINT uq_plans_account_region_name UNIQUE (account, region, name)
);
INSERT INTO "plans" VALUES(1,'111111111111','eu-west-1','tills','arn:aws:sagemaker:eu-west-1:111111111111:edge-deployment/tills',1790000000.5,1790000000.5,'{}',1,1);
CREATE TABLE stages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
    plan_id INTEGER NOT NULL, 
    name VARCHAR(63) NOT NULL, 
    position INTEGER NOT NULL, 
    selection JSON NOT NULL, 
    policy VARCHAR(32) NOT NULL, 
    created DOUBLE NOT NULL, 
    sequence INTEGER, 
    started DOUBLE, 
    stopped DOUBLE, 
    total INTEGER NOT NULL, 
    succeeded INTEGER NOT NULL, 
    failed INTEGER NOT NULL, 
    failure TEXT, 
    CONSTRAINT fk_stages_plan_id FOREIGN KEY(plan_id) REFERENCES plans (id) ON DELETE CASCADE, 
    CONSTRAINT uq_stages_plan_id_name UNIQUE (plan_id, name)
);
INSERT INTO "stages" VALUES(1,1,'all',0,'{"DeviceSubsetType": "PERCENTAGE", "Percentage": 100}','ROLLBACK_ON_FAILURE',1790000000.5,1,1790000000.5,NULL,2,1,0,NULL);
CREATE TABLE starts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	time DOUBLE NOT NULL, 
	stage_id INTEGER, 
	fleet_id INTEGER, 
	title TEXT, 
	devices JSON, 
	CONSTRAINT fk_starts_stage_id FOREIGN KEY(stage_id) REFERENCES stages (id) ON DELETE SET NULL, 
	CONSTRAINT fk_starts_fleet_id FOREIGN KEY(fleet_id) REFERENCES fleets (id) ON DELETE SET NULL
);
INSERT INTO "starts" VALUES(1,1790000000.5,1,1,'stage all of edge deployment plan tills','[1, 2]');
CREATE INDEX ix_compilation_jobs_status ON compilation_jobs (status);
CREATE INDEX ix_packaging_jobs_status ON packaging_jobs (status);
CREATE INDEX ix_devices_bundle_id ON devices (bundle_id);
CREATE INDEX ix_plans_bundle_id ON plans (bundle_id);
CREATE INDEX ix_plans_fleet_id ON plans (fleet_id);
CREATE INDEX ix_starts_stage_id ON starts (stage_id);
CREATE INDEX ix_starts_fleet_id_id ON starts (fleet_id, id);
CREATE INDEX ix_deployments_device_id_start_id ON deployments (device_id, start_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('fleets',1);
INSERT INTO "sqlite_sequence" VALUES('devices',2);
INSERT INTO "sqlite_sequence" VALUES('compilation_jobs',1);
INSERT INTO "sqlite_sequence" VALUES('packaging_jobs',1);
INSERT INTO "sqlite_sequence" VALUES('bundles',1);
INSERT INTO "sqlite_sequence" VALUES('plans',1);
INSERT INTO "sqlite_sequence" VALUES('stages',1);
INSERT INTO "sqlite_sequence" VALUES('starts',1);
COMMIT;
