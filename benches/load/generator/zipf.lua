-- 20,000 files by a Zipf law with exponent 1: the file of rank n is asked for in proportion to 1/n. The ranks
-- are dealt to the files by a fixed permutation, and the sequence is drawn once from a fixed seed, so that
-- every server gets the same.
local FILES = 20000
local DRAWS = 100000

local requests = {}
local draws = {}
local at = 0

-- Park and Miller's generator, which is the same in every Lua.
local seed = 20240229
local function random()
   seed = (seed * 16807) % 2147483647
   return seed / 2147483647
end

function init(args)
   for file = 0, FILES - 1 do
      requests[file] = wrk.format("GET", "/many/" .. math.floor(file / 100) .. "/" .. file .. ".html")
   end
   local sums = {}
   local sum = 0
   for rank = 1, FILES do
      sum = sum + 1 / rank
      sums[rank] = sum
   end
   for draw = 1, DRAWS do
      local wanted = random() * sum
      local low, high = 1, FILES
      while low < high do
         local middle = math.floor((low + high) / 2)
         if sums[middle] < wanted then low = middle + 1 else high = middle end
      end
      draws[draw] = requests[(low * 7919) % FILES]
   end
end

function request()
   at = at % DRAWS + 1
   return draws[at]
end
