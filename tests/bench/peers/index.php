<?php
// SPDX-License-Identifier: MIT
//
// The peer on PHP-FPM: PDO with a persistent connection, opcache on.
//
// Parameters of the router: DATABASE, SECRET.

declare(strict_types=1);

function answer(int $status, array $body): never
{
	http_response_code($status);
	header('Content-Type: application/json');
	echo json_encode($body);
	exit;
}

function decode(string $part): string
{
	return base64_decode(strtr($part, '-_', '+/'), true) ?: '';
}

function claims(): array
{
	$parts = explode('.', substr($_SERVER['HTTP_AUTHORIZATION'] ?? '', 7));
	if (count($parts) !== 3)
		answer(401, ['error' => 'Unauthorized']);
	[$head, $body, $mac] = $parts;
	$header = json_decode(decode($head), true);
	$claims = json_decode(decode($body), true);
	if (($header['alg'] ?? '') !== 'HS256' || !is_array($claims) ||
	    ($claims['exp'] ?? 0) <= time() ||
	    !hash_equals(hash_hmac('sha256', "$head.$body", $_SERVER['SECRET'], true),
		decode($mac)))
		answer(401, ['error' => 'Unauthorized']);
	return $claims;
}

function row(PDO $db, string $sql, array $values): array|false
{
	$statement = $db->prepare($sql);
	$statement->execute($values);
	$row = $statement->fetch();
	$statement->closeCursor();
	return $row;
}

/** A link to a file that lives an hour. */
function sign(string $bucket, string $name): string
{
	$path = "/$bucket/$name";
	$exp = time() + 3600;
	$token = rtrim(strtr(base64_encode(hash_hmac('sha256', "$path|$exp",
	    $_SERVER['SECRET'], true)), '+/', '-_'), '=');
	return "https://127.0.0.1/sign$path?exp=$exp&token=$token";
}

/** What a client sees of a job. */
function view(array $job): array
{
	$done = $job['state'] === 'completed';
	return [
		'job_id' => $job['id'], 'status' => $job['state'],
		'prompt' => $job['prompt'], 'model_name' => $job['model_name'],
		'credits_used' => $job['cost_credits'], 'credits_refunded' => 0,
		'video_url' => $done ? sign('videos', "$job[id].mp4") : null,
		'thumbnail_url' => $done ? sign('thumbnails', "$job[id].jpg") : null,
		'error_message' => null, 'error_code' => null,
		'created_at' => gmdate('Y-m-d\TH:i:s.000\Z',
		    intdiv($job['created_at_ms'], 1000)),
	];
}

function uuid(): string
{
	$hex = bin2hex(random_bytes(16));
	return substr($hex, 0, 8) . '-' . substr($hex, 8, 4) . '-4' .
	    substr($hex, 13, 3) . '-a' . substr($hex, 17, 3) . '-' . substr($hex, 20);
}

function submit(PDO $db, string $user, string $key, string $prompt): array
{
	$fingerprint = hash('sha256', $prompt, true);
	$before = row($db, 'SELECT * FROM idempotency_records
	    WHERE user_id = ? AND key = ?', [$user, $key]);
	if ($before)
		return $before['fingerprint'] === $fingerprint ?
		    [200, $before['job_id'], $before['credits_used'],
			$before['credits_remaining']] : [422];
	$model = row($db, 'SELECT * FROM models WHERE is_active = 1', []);
	$cost = 4 * $model['credits_per_second'];
	$account = row($db, 'SELECT * FROM users WHERE id = ?', [$user]);
	if ($account['credits_remaining'] < $cost)
		return [402];
	$now = (int) (microtime(true) * 1000);
	$job = uuid();
	$left = $account['credits_remaining'] - $cost;
	$number = $account['ledger_number'] + 1;
	$hash = hash('sha256', $account['ledger_hash'] .
	    "$user|$number|hold|$cost|$left|$job|$now", true);
	$lot = row($db, 'SELECT id FROM credit_lots
	    WHERE user_id = ? AND remaining_credits >= ? LIMIT 1',
	    [$user, $cost])['id'];
	foreach ([
		['UPDATE credit_lots SET remaining_credits = remaining_credits - ?
		    WHERE id = ?', [$cost, $lot]],
		['INSERT INTO hold_lots VALUES (?, ?, ?)', [$job, $lot, $cost]],
		['UPDATE users SET credits_remaining = ?, ledger_number = ?,
		    ledger_hash = CAST(? AS BLOB) WHERE id = ?',
		    [$left, $number, $hash, $user]],
		["INSERT INTO ledger_entries VALUES (?, ?, 'hold', ?, ?, ?,
		    CAST(? AS BLOB), ?)",
		    [$user, $number, $cost, $left, $job, $hash, $now]],
		['INSERT INTO jobs (id, user_id, model_id, model_name, prompt,
		    cost_credits, due_at_ms, created_at_ms)
		    VALUES (?, ?, ?, ?, ?, ?, ?, ?)', [$job, $user, $model['id'],
			$model['name'], $prompt, $cost, $now, $now]],
		["INSERT INTO attempts VALUES (?, ?, 1, 'new')", [uuid(), $job]],
		['INSERT INTO idempotency_records VALUES (?, ?, CAST(? AS BLOB),
		    ?, ?, ?)', [$user, $key, $fingerprint, $job, $cost, $left]],
		["INSERT INTO events (user_id, job_id, kind, created_at_ms)
		    VALUES (?, ?, 'job', ?)", [$user, $job, $now]],
	] as [$sql, $values])
		$db->prepare($sql)->execute($values);
	return [200, $job, $cost, $left];
}

$db = new PDO('sqlite:' . $_SERVER['DATABASE'], null, null, [
	PDO::ATTR_PERSISTENT => true,
	PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
	PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
	PDO::ATTR_TIMEOUT => 5,
]);
$db->exec('PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
['sub' => $user, 'session_id' => $session] = claims();
$found = row($db, 'SELECT u.status FROM sessions s JOIN users u
    ON u.id = s.user_id WHERE s.id = ? AND u.id = ?', [$session, $user]);
if (($found['status'] ?? '') !== 'active')
	answer(401, ['error' => 'Unauthorized']);

switch ($_SERVER['DOCUMENT_URI']) {
case '/get-user-credits':
	answer(200, row($db, 'SELECT credits_remaining FROM users WHERE id = ?',
	    [$user]));
case '/get-video-status':
	$job = row($db, 'SELECT * FROM jobs WHERE id = ? AND user_id = ?',
	    [$_GET['job_id'] ?? '', $user]);
	answer($job ? 200 : 404, $job ? view($job) : ['error' => 'Not found']);
case '/get-video-jobs':
	$jobs = $db->prepare('SELECT * FROM jobs WHERE user_id = ?
	    ORDER BY created_at_ms DESC, id DESC LIMIT 20');
	$jobs->execute([$user]);
	answer(200, ['jobs' => array_map('view', $jobs->fetchAll())]);
case '/generate-video':
	$prompt = json_decode(file_get_contents('php://input'), true)['prompt'] ?? '';
	$key = $_SERVER['HTTP_IDEMPOTENCY_KEY'] ?? '';
	if (!is_string($prompt) || $prompt === '' || strlen($prompt) > 20000 ||
	    $key === '')
		answer(400, ['error' => 'Invalid order']);
	$db->exec('BEGIN IMMEDIATE');
	try {
		$done = submit($db, $user, $key, $prompt);
		$db->exec('COMMIT');
	} catch (Throwable $error) {
		$db->exec('ROLLBACK');
		throw $error;
	}
	[$status, $job, $used, $left] = $done + [1 => null, null, null];
	answer($status, $status === 200 ? ['job_id' => $job,
	    'status' => 'pending', 'credits_used' => $used,
	    'credits_remaining' => $left] : ['error' => 'Refused']);
default:
	answer(404, ['error' => 'Not found']);
}
