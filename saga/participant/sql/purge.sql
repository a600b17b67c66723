delete from saga_inbox
where key in (select key from saga_inbox where forget_at <= $1 order by forget_at limit $2)
returning key
