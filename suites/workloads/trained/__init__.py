"""Small networks that are trained with a scheme and then examined: is it as accurate as full precision here?"""
