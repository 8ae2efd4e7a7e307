"""The world of prices: the exchange behind ccxt, the candle gate, the replayed and generated markets."""
