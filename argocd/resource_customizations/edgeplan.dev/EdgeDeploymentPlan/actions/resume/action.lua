-- Removed, not set to false: a manifest that does not mention the field is then the same as the object again.
obj.spec.suspend = nil

return obj
