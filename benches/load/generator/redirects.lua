-- The paths of all redirects in a fixed order that is not theirs; RULES is set by the workload.
local requests = {}
local at = 0

function init(args)
   for rule = 0, RULES - 1 do
      requests[rule] = wrk.format("GET", "/old/" .. rule .. "/page.html")
   end
end

function request()
   at = (at + 7919) % RULES
   return requests[at]
end
