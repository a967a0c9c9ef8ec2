from django.urls import path

from testproject.codeindex import views

urlpatterns = [
    path("", views.home, name="codeindex_home"),
    path("index/<int:pk>/", views.index, name="codeindex_index"),
]
