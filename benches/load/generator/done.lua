-- Tells what was measured in one line of JSON. Times are in microseconds.
function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      'mayhttpd-load {"requests":%.0f,"duration":%.0f,"bytes":%.0f,"p50":%.0f,"p99":%.0f,"p999":%.0f,' ..
      '"connect":%.0f,"read":%.0f,"write":%.0f,"timeout":%.0f,"status":%.0f}\n',
      summary.requests, summary.duration, summary.bytes,
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
      errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
