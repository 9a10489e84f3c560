-- Sixteen requests in one write.
local batch

function init(args)
   local requests = {}
   for number = 1, 16 do
      requests[number] = wrk.format()
   end
   batch = table.concat(requests)
end

function request()
   return batch
end
