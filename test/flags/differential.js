// Makes test/flags/differential.json: random features and contexts, with what
// Unleash's own client for Node says of them.  By hand, where npm can be had:
//
//   npm install unleash-client@6.12.1 && node differential.js [SEED] > differential.json
//
// Left out is what the client documents differently from us (README, Flags):
// fractions of a percent, ids that are not ASCII, rollouts without a groupId,
// and answers that are left to chance.
'use strict';
const { EventEmitter } = require('node:events');
const UnleashClient = require('unleash-client/lib/client').default;
const { defaultStrategies } = require('unleash-client/lib/strategy');

let state = Number(process.argv[2] || 1) >>> 0;
function random(n) {		// mulberry32
	state = (state + 0x6d2b79f5) >>> 0;
	let t = state;
	t = Math.imul(t ^ (t >>> 15), t | 1);
	t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
	return ((t ^ (t >>> 14)) >>> 0) % n;
}
const pick = (list) => list[random(list.length)];
const some = (list, most) => Array.from({ length: random(most + 1) }, () => pick(list));
const chance = (percent) => random(100) < percent;

const ids = ['1', '2', '7', '42', '122', 'alice@example.com', 'user-7', '00042', 'spaced id',
	'550e8400-e29b-41d4-a716-446655440000', '9223372036854775807'];
const words = ['alpha', 'beta', 'Gamma', 'al', 'a', 'ETA', 'eu-west', 'eu', 'dev', 'prod', '', ' x ', 'a,b'];
const numbers = ['0', '1', '-1', '1.5', '10', '100', '1e3', 'x', '007', ' 5 ', '5.0'];
const dates = ['2022-01-29T13:00:00.000Z', '2024-02-29T00:00:00Z', '2030-12-31T23:59:59+02:00', '1999-01-01T00:00:00.000Z'];
const versions = ['1.2.3', '1.2.4', '2.0.0', '1.2.3-beta', '1.2.3-beta.1', '1.2.3-beta.11', '1.2.3-beta.2', '1.2.3+build',
	'1.2', '10.0.0', '1.2.3-alpha.beta', '0.0.0'];
const addresses = ['127.0.0.1', '192.168.1.7', '192.168.2.7', '10.1.2.3', '2001:db8::1', '2001:db8:1::1', 'nonsense', '::1'];
const ranges = ['127.0.0.1', '192.168.1.0/24', '10.0.0.0/8', '2001:db8::/32', '192.168.1.5/24', 'nonsense', '0.0.0.0/0', '::1'];
const patterns = ['^a', 'a$', '^eu-', '[A-Z]', '\\d+', '^(alpha|beta)$', '(?i)gamma', '\\bwest\\b', '^.$', 'x{2,3}', '(bad', '[[:alpha:]]+'];
const fields = ['userId', 'sessionId', 'appName', 'environment', 'remoteAddress', 'region', 'plan', 'version', 'score'];

function constraint() {
	const contextName = pick(fields);
	const c = { contextName };
	const kind = random(8);
	if (kind < 2) Object.assign(c, { operator: pick(['IN', 'NOT_IN']), values: some(words.concat(ids), 4) });
	else if (kind === 2) Object.assign(c, { operator: pick(['STR_STARTS_WITH', 'STR_ENDS_WITH', 'STR_CONTAINS']), values: some(words, 3) });
	else if (kind === 3) Object.assign(c, { contextName: pick(['score', 'plan', 'userId']),
		operator: pick(['NUM_EQ', 'NUM_GT', 'NUM_GTE', 'NUM_LT', 'NUM_LTE']), value: pick(numbers) });
	else if (kind === 4) Object.assign(c, { contextName: 'currentTime', operator: pick(['DATE_AFTER', 'DATE_BEFORE']), value: pick(dates) });
	else if (kind === 5) Object.assign(c, { contextName: 'version',
		operator: pick(['SEMVER_EQ', 'SEMVER_GT', 'SEMVER_GTE', 'SEMVER_LT', 'SEMVER_LTE']), value: pick(versions) });
	else if (kind === 6) Object.assign(c, { contextName: 'remoteAddress', operator: 'IN_CIDR', values: some(ranges, 3) });
	else Object.assign(c, { operator: 'REGEX', value: pick(patterns) });
	if (chance(5)) c.operator = 'FROM_THE_FUTURE';
	if (chance(25)) c.inverted = true;
	if (chance(25)) c.caseInsensitive = true;
	return c;
}

function variants(stickiness) {
	return Array.from({ length: 1 + random(4) }, (_, i) => {
		const v = { name: `variant${i}`, weight: pick([0, 1, 10, 100, 333, 500, 1000]) };
		if (stickiness && i === 0) v.stickiness = stickiness;
		if (chance(60)) v.payload = { type: pick(['string', 'json', 'csv', 'number']), value: pick(words) };
		if (stickiness && chance(20)) v.overrides = [{ contextName: pick(['userId', 'region']), values: some(ids.concat(words), 3) }];
		return v;
	});
}

function strategy() {
	const s = { name: pick(['default', 'default', 'userWithId', 'flexibleRollout', 'flexibleRollout', 'flexibleRollout', 'gradualRolloutUserId',
		'gradualRolloutSessionId', 'remoteAddress', 'ofNextYear']), parameters: {} };
	if (s.name === 'userWithId') s.parameters.userIds = some(ids, 4).join(pick([',', ', ', ' ,']));
	if (s.name === 'flexibleRollout') {
		s.parameters.rollout = String(pick([0, 1, 5, 10, 25, 33, 50, 75, 99, 100]));
		s.parameters.stickiness = pick(['default', 'userId', 'sessionId', 'region']);
		s.parameters.groupId = pick(['g', 'AB12A', 'orders_v2', 'memory store', 'toggleName:with:colon']);
	}
	if (s.name.startsWith('gradualRollout')) {
		s.parameters.percentage = String(pick([0, 10, 50, 90, 100]));
		s.parameters.groupId = pick(['g', 'gr1']);
	}
	if (s.name === 'remoteAddress') s.parameters.IPs = some(addresses, 3).join(',');
	if (chance(50)) s.constraints = Array.from({ length: 1 + random(2) }, constraint);
	if (chance(15)) s.segments = [1 + random(4)];		// 4 does not exist
	if (chance(20)) {
		s.variants = variants(null);
		s.parameters.groupId = s.parameters.groupId || 'g';
	}
	return s;
}

function feature(name, parents) {
	const f = { name, enabled: chance(90), strategies: Array.from({ length: random(4) }, strategy) };
	if (chance(40)) f.variants = variants(pick(['default', 'sessionId']));
	if (parents.length && chance(30)) {
		f.dependencies = [{ feature: pick(parents.concat(['missing'])) }];
		if (chance(30)) f.dependencies[0].enabled = chance(50);
		if (chance(30)) f.dependencies[0].variants = some(['variant0', 'variant1', 'disabled'], 2);
	}
	return f;
}

function context() {
	const c = { sessionId: pick(ids) };		// so that nothing is left to chance
	if (chance(85)) c.userId = pick(ids);
	if (chance(60)) c.appName = pick(words);
	if (chance(60)) c.environment = pick(words);
	if (chance(70)) c.remoteAddress = pick(addresses);
	c.currentTime = pick(dates);
	c.properties = {};
	if (chance(60)) c.properties.region = pick(words);
	if (chance(50)) c.properties.plan = pick(words.concat(numbers));
	if (chance(60)) c.properties.version = pick(versions);
	if (chance(60)) c.properties.score = pick(numbers.concat([1, 5, 100, null]));
	return c;
}

const features = [];
for (let i = 0; i < 250; i++) features.push(feature(`f${i}`, features.slice(0, 40).map((f) => f.name)));
const segments = [1, 2, 3].map((id) => ({ id, name: `s${id}`, constraints: Array.from({ length: random(3) }, constraint) }));
const contexts = Array.from({ length: 60 }, context);

const repository = new EventEmitter();
repository.getToggle = (name) => features.find((f) => f.name === name);
repository.getSegment = (id) => segments.find((s) => s.id === id);
const client = new UnleashClient(repository, defaultStrategies);
client.on('error', () => {});
client.on('warn', () => {});

const cases = [];
for (const f of features) {
	for (let i = 0; i < 12; i++) {
		const at = random(contexts.length);
		const c = contexts[at];
		const v = client.getVariant(f.name, c);
		const variant = { name: v.name, enabled: v.enabled, feature_enabled: v.feature_enabled };
		if (v.payload) variant.payload = v.payload;
		cases.push({ flag: f.name, context: at, enabled: client.isEnabled(f.name, c, () => false), variant });
	}
}
process.stdout.write(`{"features": [\n${features.map((f) => JSON.stringify(f)).join(',\n')}],
"segments": [\n${segments.map((s) => JSON.stringify(s)).join(',\n')}],
"contexts": [\n${contexts.map((c) => JSON.stringify(c)).join(',\n')}],
"cases": [\n${cases.map((c) => JSON.stringify(c)).join(',\n')}]}\n`);
