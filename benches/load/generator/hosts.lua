-- The same page of 1000 hosts, in a fixed order that is not theirs.
local HOSTS = 1000

local requests = {}
local at = 0

function init(args)
   for host = 0, HOSTS - 1 do
      wrk.headers["Host"] = "host-" .. host .. ".example"
      requests[host] = wrk.format()
   end
end

function request()
   at = (at + 7919) % HOSTS
   return requests[at]
end
