-- SPDX-License-Identifier: MIT
--
-- wrk ... -s load.lua URL -- REQUESTS KEY PAUSE_MS [TOKENS]
--
-- Sends the requests in the file REQUESTS, which are separated by NUL bytes,
-- one after the other and again from the front.  In each, @KEY@ becomes a UUID
-- that begins with KEY and is never used twice.  Each connection pauses
-- PAUSE_MS on average between two requests.
--
-- TOKENS is a file with a refresh token a line: @TOKEN@ becomes the oldest,
-- and the one that is answered goes to the end of the line; @LENGTH@ becomes
-- the length of the body.
--
-- Prints one line of JSON at the end.

local requests = {}
local key, sent = "", 0
local tokens, first, last = nil, 1, 0

local function give_back(token)
	last = last + 1
	tokens[last] = token
end

function init(args)
	for text in io.open(args[1], "rb"):read("*a"):gmatch("[^%z]+") do
		local head, tail = text:match("^(.*)@KEY@(.*)$")
		requests[#requests + 1] = { head = head, tail = tail, text = text }
	end
	key = args[2]
	local pause_ms = tonumber(args[3])
	if pause_ms > 0 then
		math.randomseed(os.time())
		delay = function() return math.random(0, 2 * pause_ms) end
	end
	if args[4] then
		tokens = {}
		for token in io.lines(args[4]) do
			give_back(token)
		end
		response = function(status, headers, body)
			local token = body:match('"refresh_token":"([^"]+)"')
			if token then
				give_back(token)
			end
		end
	end
end

function request()
	local now = requests[sent % #requests + 1]
	sent = sent + 1
	if now.head then
		return string.format("%s%s-%012x%s", now.head, key, sent, now.tail)
	end
	if tokens then
		local text = now.text:gsub("@TOKEN@", tokens[first])
		tokens[first] = nil
		first = first + 1
		local body = text:match("\r\n\r\n(.*)$")
		text = text:gsub("@LENGTH@", #body)
		return text
	end
	return now.text
end

function done(summary, latency, requests)
	local errors = summary.errors
	io.write(string.format('{"requests":%d,"seconds":%.6f,"bytes":%.0f,' ..
	    '"refused":%d,"broken":%d,"p50_us":%d,"p99_us":%d,"max_us":%d}\n',
	    summary.requests, summary.duration / 1e6, summary.bytes,
	    errors.status,
	    errors.connect + errors.read + errors.write + errors.timeout,
	    latency:percentile(50), latency:percentile(99), latency.max))
end
