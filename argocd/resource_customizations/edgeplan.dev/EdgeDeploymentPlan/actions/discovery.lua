local suspended = obj.spec ~= nil and obj.spec.suspend == true
local deleting = obj.metadata.deletionTimestamp ~= nil

local actions = {}
actions["reconcile"] = { ["disabled"] = suspended or deleting }
actions["suspend"] = { ["disabled"] = suspended or deleting }
actions["resume"] = { ["disabled"] = not suspended or deleting }
return actions
