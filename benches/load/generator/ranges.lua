-- Ranges of 16 KiB that begin at 1000 places of a page of 955,000 bytes.
local requests = {}
local at = 0

function init(args)
   for number = 1, 1000 do
      local first = (number * 7919 * 13) % (955000 - 16384)
      local headers = { ["Range"] = "bytes=" .. first .. "-" .. (first + 16383) }
      for name, value in pairs(wrk.headers) do
         if name ~= "Range" then headers[name] = value end
      end
      requests[number] = wrk.format("GET", nil, headers)
   end
end

function request()
   at = at % 1000 + 1
   return requests[at]
end
