from django.urls import path

from testproject.codeindex import views

app_name = "codeindex"
urlpatterns = [
    path("", views.home, name="home"),
    path("index/<int:pk>/", views.index, name="index"),
]
