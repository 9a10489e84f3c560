-- PATHS redirects that are spread over RULES rules, in a fixed order that is not theirs. Both are set by the
-- workload.
local requests = {}
local at = 0

function init(args)
   for path = 0, PATHS - 1 do
      requests[path] = wrk.format("GET", "/old/" .. math.floor(path * RULES / PATHS) .. "/page.html")
   end
end

function request()
   at = (at + 7919) % PATHS
   return requests[at]
end
