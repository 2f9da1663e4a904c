-- Every order of the conditions is the same to us: they are looked up by type.
local function condition(kind)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, each in ipairs(obj.status.conditions) do
      if each.type == kind then
        return each
      end
    end
  end
  return nil
end

local function is(kind, status)
  local found = condition(kind)
  return found ~= nil and found.status == status
end

local function health(status, message)
  return { status = status, message = message }
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Pending deletion")
end

if obj.status == nil or obj.status.observedGeneration == nil
    or obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "Waiting for the operator to see the spec")
end

if is("Stalled", "True") then
  return health("Degraded", condition("Stalled").message)
end

if is("Reconciling", "True") then
  return health("Progressing", condition("Reconciling").message)
end

if obj.spec ~= nil and obj.spec.suspend then
  return health("Suspended", "spec.suspend is true: nothing is reconciled")
end

local ready = condition("Ready")

if ready == nil then
  return health("Progressing", "Waiting for the first reconcile")
end

-- The rollout waits at its gate for a person, or policy.management is Observe and AWS differs: nothing is wrong,
-- nothing moves by itself, and it is not as the spec asks in the end.
if ready.reason == "WaitingForPromotion" or ready.reason == "ChangesPending" then
  return health("Suspended", ready.message)
end

if ready.status == "True" then
  return health("Healthy", ready.message)
end

return health("Progressing", ready.message)
