"""Webhooks as Standard Webhooks 1.0 has them: who is told of what, and every attempt to do so.

keys `bb:{hooks}:<kind>:<name>`:

`hook:<webhook>`       hash  address, events, sealed secrets, health     until it is deleted
`tenant:<tenant>`      hash  webhook -> what it listens for, address     fields: until it is deleted
`edition:all`          hash  tenant -> what any of its webhooks listens  fields: while the tenant has any
                             for; `#` counts the changes
`delivery:<delivery>`  hash  what is sent, where, every attempt          14 days from when it was made or asked for again
`log:<webhook>`        zset  its deliveries by when they were made, ms   14 days after the last; at most 10,000
`due:<lane>`           zset  deliveries to make -> when, ms              members: until they are made or given up
`due:all`              zset  lane -> the earliest time in it, ms         members: while the lane holds any

A lane is what one slow receiver may hold up: a webhook, or the callbacks of one tenant to some hosts.
"""
