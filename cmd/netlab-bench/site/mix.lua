-- What wrk asks for: four times in five something small, and one time in three
-- with gzip.
local n = 0

function init()
  math.randomseed(1)
end

function request()
  n = n + 1
  local headers = { ["User-Agent"] = "wrk", ["X-Id"] = tostring(n) }
  if math.random(3) == 1 then
    headers["Accept-Encoding"] = "gzip"
  end
  local path
  if math.random(5) > 1 then
    path = "/small" .. math.random(0, 63) .. ".json?n=" .. n
  elseif math.random(2) == 1 then
    path = "/large" .. math.random(0, 4) .. ".bin"
  else
    path = "/page" .. math.random(0, 4) .. ".html"
  end
  return wrk.format("GET", path, headers)
end
