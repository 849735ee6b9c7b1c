-- The closed loop of whole calls, for wrk. Arguments: a file with the requests, each after its length in a line.
local requests = {}
local turn = 0

local function next_request()
    turn = turn % #requests + 1
    return requests[turn]
end

function init(args)
    local file = assert(io.open(args[1], "rb"))
    for line in file:lines() do
        requests[#requests + 1] = file:read(tonumber(line))
    end
    file:close()
    request = next_request
end

function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        '\n{"answered":%d,"bad":%d,"broken":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d,"mean_us":%.1f}\n',
        summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
        summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency.mean))
end
