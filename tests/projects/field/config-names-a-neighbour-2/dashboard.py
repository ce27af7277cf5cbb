import absent_dash

server = absent_dash.Dash(__name__).server
