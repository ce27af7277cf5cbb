-- of each port
select port, sum(hours) from arrivals group by port order by port
